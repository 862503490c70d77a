"""XML and feeds: values behind their names, large elements as headings, and nothing expanded."""

import pytest

from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.worker import answer_file

LIMITS = FileLimits()


def loaded(markup: str, name: str = "a.xml") -> LoadedText:
    return load(markup.encode(), name, LIMITS)


def headed(text: LoadedText) -> list[tuple[tuple[str, ...], str]]:
    """Headings of each section, and the line that it begins with."""
    return [
        (section.headings, text.text[section.start :].split("\n", 1)[0])
        for section in text.sections
    ]


def test_small_elements_are_lines_with_their_path() -> None:
    found = loaded(
        '<shop city="Bonn"><part id="7"><name>Bolt</name><size unit="mm">5</size></part>'
        '<part id="8"><name>Nut</name><at x="1" y="2"/><none/></part>open</shop>'
    )
    assert found.text == (
        "city: Bonn\n"
        "part.id: 7\npart.name: Bolt\npart.size (unit=mm): 5\n\n"
        "part.id: 8\npart.name: Nut\npart.at: x=1, y=2\n\nopen\n\n"
    )
    assert headed(found) == [(("shop",), "city: Bonn")]
    assert found.metadata["kind"] == "xml"


def test_large_elements_are_headings_by_their_title_or_name() -> None:
    words = "Words with <b>bold</b>&nbsp;marks. " * 60
    found = loaded(
        '<!DOCTYPE article SYSTEM "http://localhost/article.dtd">'
        '<d:article xmlns:d="docbook"><d:title>Guide</d:title>'
        f"<d:section><d:title>First</d:title><d:para>{words}</d:para></d:section>"
        f"<d:notes><d:para>{words}</d:para><d:para>End.</d:para></d:notes></d:article>"
    )
    assert found.title == "Guide"
    assert headed(found) == [
        (("Guide",), "title: Guide"),
        (("Guide", "First"), "title: First"),
        (("Guide", "notes"), " ".join(["Words with bold marks."] * 60)),
    ]


@pytest.mark.parametrize(
    ("markup", "why"),
    [
        ("<a>\n<b>words</a>", "no whole XML (line 2)"),
        ('<!DOCTYPE a [<!ENTITY x "words">]><a>&x;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "declares entities"),
        ("<a>" * 201 + "words" + "</a>" * 201, "nest more than 200 deep"),
        ("<a>" * 200_000 + "words" + "</a>" * 200_000, "nest more than 200 deep"),
    ],
)
def test_what_is_no_plain_xml_is_read_as_it_is_written(markup: str, why: str) -> None:
    found = loaded(markup)
    assert found.text == markup
    [warning] = found.warnings
    assert why in warning


def test_many_attributes_and_elements_are_read_in_time_and_bounds() -> None:
    many = "".join(f'<e{n} a{n}="{n}"/>' for n in range(20_000))
    assert loaded(f"<a>{many}</a>").text.count("\n") == 20_000
    deep = "<long-name>" * 190 + "<b>x</b>" * 900 + "</long-name>" * 190
    answer = answer_file(deep.encode(), "a.xml", FileLimits(characters=1_000_000))
    assert answer.reason == "it holds more than 1,000,000 characters"


def test_xml_that_is_cut_anywhere_is_read() -> None:
    whole = "<?xml version='1.0'?><a b='c'><d>words &amp; more</d><!-- none --><e>x</e></a>"
    for end in range(22, len(whole)):
        assert loaded(whole[:end], "a").text


RSS = """<rss version="2.0" xmlns:content="content"><channel><title>News</title>
<item><title>First &amp; best</title><link>http://localhost/1</link><pubDate>Mon, 1 Jan</pubDate>
<description>&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;/p&gt;</description></item>
<item><title>Second</title><content:encoded><![CDATA[<p>All of it</p>]]></content:encoded>
<description>A part</description></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title><entry>
<title>On bolts</title><link rel="self" href="no"/><link href="http://localhost/2"/><author><name>Ada</name></author>
<updated>2024-01-01</updated><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">
<p>One <b>bolt</b></p><p>Two</p></div></content></entry></feed>"""


def test_entries_of_feeds_are_sections_under_their_titles() -> None:
    found = loaded(RSS, "a.rss")
    assert found.text == (
        "First & best\nMon, 1 Jan\nhttp://localhost/1\n\nHello you\n\nSecond\n\nAll of it\n\n"
    )
    assert headed(found) == [
        (("News", "First & best"), "First & best"),
        (("News", "Second"), "Second"),
    ]
    found = loaded(ATOM)
    assert found.text == "On bolts\nAda, 2024-01-01\nhttp://localhost/2\n\nOne bolt\n\nTwo\n\n"
    assert (found.title, found.metadata["records"]) == ("Blog", 1)
