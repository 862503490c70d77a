from llm_api.core.utils.seldom import Seldom


def test_what_goes_on_is_told_once_in_a_while() -> None:
    now = 100.0
    seldom = Seldom(60, clock=lambda: now)
    assert seldom.is_due()
    now = 159.9
    assert not seldom.is_due()
    now = 160.0
    assert seldom.is_due()
    assert not seldom.is_due()
