"""The mind: understands a question, calls tools, words the answer; never acts on a cloud."""
