"""Everything can be done with the keyboard alone."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Serve
from tests.browser.site import DEMO
from tests.browser.test_homepage import PATHS

FOCUS = """() => {
    const element = document.activeElement, box = element.getBoundingClientRect();
    return {
        place: element.closest("section")?.id ?? element.closest("header, footer")?.localName ?? element.className,
        text: element.innerText || element.labels?.[0]?.innerText,
        outlined: getComputedStyle(element).outlineStyle !== "none",
        inside: box.left >= 0 && box.top > -1 && box.right <= innerWidth && box.bottom < innerHeight + 1,
    };
}"""


def test_tab_goes_through_every_style_from_top_to_bottom(serve_site: Serve, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")  # else other banners may come meanwhile
    site = serve_site(12)
    for path in PATHS:
        page.goto(site.address + path)
        places: list[str] = []
        for _ in range(page.locator("a:visible, button:visible, input:visible").count()):
            page.keyboard.press("Tab")
            focus = page.evaluate(FOCUS)
            assert focus["outlined"], focus
            assert focus["inside"], focus
            if focus["place"] not in places[-1:]:
                places.append(focus["place"])
        sections = [f"section-{n}" for n in site.names if page.locator(f"#section-{n} a").count()]
        assert len(sections) > 5
        assert places == ["skip", "header", *sections, "footer"], path


def test_the_skip_link_leads_past_the_header(serve_site: Serve, page: Page) -> None:
    page.goto(serve_site(2).address)
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).not_to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Pause and show all")).to_be_focused()


def test_logging_in_and_out(serve_site: Serve, page: Page) -> None:
    site = serve_site(2)
    page.goto(site.address)
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Log in")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(DEMO)
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please enter a correct username and password.")).to_be_visible()

    page.get_by_label("Password").focus()
    page.keyboard.type(DEMO)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Hello, {DEMO}")).to_be_visible()
    expect(page.get_by_role("heading", name="Recommended for you")).to_be_visible()

    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Log out")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    expect(page.get_by_role("heading", name="Readers like these")).to_be_visible()
