"""The banner rotates by itself, and whoever wants to read in peace can stop it."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Serve
from tests.browser.service import run_service

TURN = """turn => {
    const animations = document.getAnimations();
    for (const animation of animations) {
        const {duration, iterations} = animation.effect.getTiming();
        if (iterations !== Infinity) throw new Error("The banner stops by itself.");
        animation.currentTime = (turn + 0.5) * duration / animations.length;
    }
}"""


def find_visible(banners: Locator) -> list[int]:
    """Which of them can be seen."""
    visible: list[int] = banners.evaluate_all(
        """banners => [...banners.keys()].filter(number => banners[number].checkVisibility(
            {visibilityProperty: true, opacityProperty: true}))"""
    )
    return visible


def test_every_banner_has_its_turn(serve_site: Serve, page: Page) -> None:
    items: list[dict[str, str]] = []
    with run_service({"title": "This week", "items": items}) as promo:
        site = serve_site(1, promo=promo)
        for said, shown in ((2, 2), (3, 3), (4, 4), (6, 4)):
            items[:] = [{"title": f"Banner {n}", "url": f"?{n}"} for n in range(said)]
            page.goto(site.address)
            banners = page.locator(".banner li")
            expect(banners).to_have_count(shown)
            for turn in range(2 * shown):
                page.evaluate(TURN, turn)
                assert find_visible(banners) == [turn % shown]
                assert page.get_by_role("link", name="Banner").count() == 1


def test_a_single_banner_stays(serve_site: Serve, page: Page) -> None:
    with run_service({"title": "This week", "items": [{"title": "The only one"}]}) as promo:
        page.goto(serve_site(1, promo=promo).address)
        assert page.evaluate("document.getAnimations().length") == 0
        assert find_visible(page.locator(".banner li")) == [0]
        expect(page.get_by_label("Pause and show all")).to_have_count(0)


def test_the_banner_can_be_paused(serve_site: Serve, page: Page) -> None:
    page.goto(serve_site(1).address)
    banners = page.locator(".banner li")
    count_running = "document.getAnimations().filter(a => a.playState === 'running').length"
    assert page.evaluate(count_running) == banners.count() == 3

    page.locator(".banner ul").hover()
    assert page.evaluate(count_running) == 0
    page.mouse.move(0, 0)
    assert page.evaluate(count_running) == 3
    page.locator(".banner li a:visible").focus()
    assert page.evaluate(count_running) == 0

    pause = page.get_by_label("Pause and show all")
    pause.press("Space")
    assert page.evaluate("document.getAnimations().length") == 0
    assert find_visible(banners) == [0, 1, 2]
    pause.press("Space")
    assert page.evaluate(count_running) == 3


def test_nothing_moves_for_those_who_want_less_motion(serve_site: Serve, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(serve_site(1).address)
    assert page.evaluate("document.getAnimations().length") == 0
    assert find_visible(page.locator(".banner li")) == [0, 1, 2]
    expect(page.get_by_label("Pause and show all")).to_be_hidden()
