"""Currencies: in which currency a question wants its costs - "in euros", "as USD", "in £"."""

from __future__ import annotations

import re

_NAMES = {
    "EUR": r"euros?|eur",
    "USD": r"(?:us |u\.s\. |american )?dollars?|usd",
    "GBP": r"(?:british )?pounds?(?: sterling)?|sterling|gbp",
    "CHF": r"(?:swiss )?francs?|chf",
    "JPY": r"(?:japanese )?yen|jpy",
    "INR": r"(?:indian )?rupees?|inr",
    "CAD": r"canadian dollars?|cad",
    "AUD": r"australian dollars?|aud",
    "SEK": r"swedish (?:kronor|crowns?)|sek",
    "PLN": r"zloty|złoty|pln",
    "BRL": r"(?:brazilian )?rea(?:l|is)|brl",
}
_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR"}
_ASKED = re.compile(
    r"(?<!\w)(?:in|into|as|to)(?: our| my)? (?:(?P<sign>[€$£¥₹])(?!\d)|(?:"
    + "|".join(f"(?P<{code}>{pattern})" for code, pattern in _NAMES.items())
    + r")(?!\w))"
)


def find(text: str) -> tuple[str, tuple[int, int] | None]:
    """The currency's code, and where `text` (lower case) says it; ("", None) when it says none."""
    m = _ASKED.search(text)
    if m is None:
        return "", None
    code = _SIGNS[m["sign"]] if m["sign"] else next(c for c in _NAMES if m[c])
    return code, m.span()
