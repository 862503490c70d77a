"""Which questions cannot be understood without what was said before. Pure.

By words of English; in other languages a question refers back if it is very short, as "Warum?".
A question taken for a follow-up by mistake costs a short answer of the model, and one that is
missed is searched for as it stands.
"""

import re
from collections.abc import Iterable
from typing import Final

SHORT = 3
"""Up to so many words, there is not enough to search for: "And in Spain?"."""

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")

_POINTING: Final = re.compile(
    r"""
      \b (?: it | its | they | them | their | theirs | he | him | his | she | her | hers
           | these | those | former | latter | aforementioned ) \b
    | \b (?: this | that ) \b
        (?= \s* $ | \s* [?.!,;] | \s+ (?: is | was | are | does | did | do | has | had | can | one
            | also | work | works | mean | means | cost | costs | apply | applies | happen ) \b )
    | ^ \s* (?: (?: how | why | what | when | where | who ) \s+ )?
        (?: is | was | does | did | do | can | could | will | would ) \s+ (?: this | that ) \b
    | \b (?: about | of | with | like | for | after | before | than | do | does | this | that )
        \s+ (?: this | that | the \s+ (?: other | same | first | second | third | last ) ) \b
    | \b (?: the | which | another | other | that | this | first | second | last ) \s+ ones? \b
    | \b (?: above | previous | earlier | there | instead | otherwise | else ) \s* [?.!]* \s* $
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPENING: Final = re.compile(
    r"\s* (?: and | but | or | so | also | then | what \s+ about | how \s+ about | what \s+ else"
    r" | why \s+ not | how \s+ come | which \s+ of ) \b",
    re.VERBOSE | re.IGNORECASE,
)
_EMPTY: Final = frozenset(
    """a an and are as at be been but by can could did do does for from had has have he her him his
    how i if in into is it its me more my no not of on one or our she should so some than that the
    their them then there these they this those to too was we were what when where which who whom
    whose why will with would you your about also please tell explain describe say give show
    """.split()  # noqa: SIM905 - a list of 80 strings reads worse
)


def refers_back(question: str) -> bool:
    """Whether it needs the conversation to be understood."""
    return (
        len(words(question)) <= SHORT
        or _OPENING.match(question) is not None
        or _POINTING.search(question) is not None
    )


def is_faithful(rewritten: str, question: str, conversation: Iterable[str]) -> bool:
    """Whether a question that a model has rewritten can be trusted to be the same one.

    It keeps half of the words that the question had, and most of its words were said before: a
    small model likes to answer instead, or to ask about something else.
    """
    new, old = content(rewritten), content(question)
    said = old.union(*map(content, conversation))
    keeps = len(new & old) * 2 >= len(old)
    return bool(new) and keeps and len(new & said) * 4 >= len(new) * 3


def content(text: str) -> set[str]:
    """The words that carry meaning, without an ending of the plural."""
    return {word.removesuffix("s") for word in words(text) if word not in _EMPTY}


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
