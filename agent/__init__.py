"""The mind: understands a question, calls tools, words the answer; never acts on a cloud."""

import os

# LangGraph and LangSmith read these when they are first imported, wherever that happens: checkpoints may only hold
# plain data (no object is rebuilt from bytes), and nothing is sent to a tracing service unless somebody asks for it.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ.setdefault("LANGSMITH_TRACING", "false")
