"""Patterns in which `*` stands for any text. Pure."""


def fits(text: str, pattern: str) -> bool:
    """Whether a text is the pattern's pieces in their order. Takes linear time.

    Distinguishes the case of letters.
    """
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *inner, last = others
    if len(text) < len(first) + len(last):
        return False
    if not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in inner:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
