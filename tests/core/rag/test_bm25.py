import pytest

from llm_api.core.rag.bm25 import Bm25
from llm_api.core.rag.vector_store import FIRST_RULE


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


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("北京是中华人民共和国的首都", "首都"),
        ("茶が好きです。", "茶"),
        ("東京は日本の首都です", "日本の首都"),
        ("กรุงเทพเป็นเมืองหลวง", "เมืองหลวง"),
        ("학교에서 책을 읽는다", "학교"),
        ("Die Straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01nance", "finance"),
        ("\uff26\uff55\uff4c\uff4c", "full"),
        ("the runners\u2019 club \u201cclub\u201d", "runners' club"),
    ],
)
def test_what_reads_alike_is_found(text: str, asked: str) -> None:
    bm25 = Bm25()
    assert set(bm25.query(asked).indices) <= set(bm25.document(text).indices)
    assert bm25.query(asked).indices


def test_english_words_are_the_same_terms_beside_other_scripts() -> None:
    bm25 = Bm25()
    asked = bm25.query("running engines").indices
    assert set(asked) <= set(bm25.document("北京: it runs an engine").indices)


def test_collection_of_the_first_rule_is_searched_by_it() -> None:
    older = Bm25(FIRST_RULE)
    assert older.document("北京大学").indices == older.query("北京大学").indices
    assert not set(older.document("北京大学").indices) & set(Bm25().document("北京大学").indices)
