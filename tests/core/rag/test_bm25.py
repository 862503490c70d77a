from llm_api.core.rag.bm25 import Bm25


def test_forms_of_a_word_are_one_term() -> None:
    bm25 = Bm25()
    assert bm25.query("Running!").indices == bm25.document("runs").indices


def test_repeated_word_weighs_more_but_not_twice_as_much() -> None:
    bm25 = Bm25()
    [once], [twice] = bm25.document("engine").values, bm25.document("engine engine").values
    assert once < twice < 2 * once


def test_stop_words_are_no_terms() -> None:
    bm25 = Bm25()
    assert bm25.query("the of and").indices == ()
    assert bm25.document("").indices == ()
