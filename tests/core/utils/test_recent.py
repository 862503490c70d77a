"""What was worked out a moment ago: for a time, and the latest of it."""

from llm_api.core.utils.recent import Recent


def test_latest_values_are_kept_for_their_time() -> None:
    now = [0.0]
    recent = Recent[str, int](2, 10, lambda: now[0])
    recent.put("a", 1)
    now[0] = 5
    recent.put("b", 2)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, 2, None)
    now[0] = 11
    assert (recent.get("a"), recent.get("b")) == (None, 2)
    recent.put("b", 3)
    recent.put("c", 4)
    recent.put("d", 5)
    assert (recent.get("b"), recent.get("c"), recent.get("d")) == (None, 4, 5)
