"""The tab Verdict on Locust's page, and the same in Locust's reports in HTML.

Locust's own tabs know neither scenario nor threshold. What stands here is the panel of
`report.html`, of the test that runs or of the last one. Locust lets others add tabs with a table,
at the end; the rest is `page.js`, which the page gets beside Locust's own script: it puts the tab
first, fills it, opens it when a test has stopped, and tells the target where the page says Host.

Locust writes `--html` before the last figures are in, so it is written again when all is over.
"""

from __future__ import annotations

import json
import logging
import os
from importlib.resources import files
from typing import Any

from flask import Response, jsonify, make_response, request
from locust.html import get_html_report, process_html_filename
from locust.web import WebUI

from loadmux.errors import LoadmuxError
from loadmux.locust.form import told_of
from loadmux.locust.guarding import Choices
from loadmux.locust.here import Here
from loadmux.report import html

logger = logging.getLogger("loadmux")

TAB = {"title": "Verdict", "key": "verdict"}
SCRIPT = '<script type="module" src="./loadmux/page.js"></script>\n'
ROOT = '<div id="root"></div>'
NO_HOST = '"host": "None"'


def install(web_ui: WebUI, here: Here, choices: Choices) -> None:
    """Put the tab into the page, and what it holds into the reports that the page makes.

    Of the scenarios among the `choices` the form is told.
    """
    app = web_ui.app
    assert app is not None
    base = app.blueprints["locust"].url_prefix or ""

    def told() -> Response:
        return jsonify({"state": here.runner.state, "target": target(here), "panel": asked()})

    def asked() -> str | None:
        return panel(here) if "panel" in request.args else None

    def script() -> Response:
        answer = make_response(files(__package__).joinpath("page.js").read_text("utf-8"))
        answer.headers["Content-Type"] = "text/javascript"
        return answer

    def scenario() -> Response:
        name = request.args.get("name", "")
        try:
            choices.check(name)
            (one,) = here.every()
            return jsonify(told_of(name, one, here))
        except (LoadmuxError, ValueError) as error:
            return jsonify({"problem": str(error)})

    for path, view in (("verdict", told), ("scenario", scenario), ("page.js", script)):
        protected = web_ui.auth_required_if_enabled(view)
        app.add_url_rule(f"{base}/loadmux/{path}", view_func=protected)

    @app.after_request
    def add_to_pages(response: Response) -> Response:
        if response.status_code == 200 and request.endpoint == "locust.index":
            head, body, rest = response.get_data(as_text=True).rpartition("</body>")
            response.set_data(f"{head}{SCRIPT if body else ''}{body}{rest}")
        elif response.status_code == 200 and request.endpoint == "locust.stats_report":
            theme = request.args.get("theme", "")
            response.set_data(with_verdict(response.get_data(as_text=True), here, theme))
        return response


def target(here: Here) -> str:
    """Where the targets of the test are that runs, or of the last one; "" before there is one."""
    parts = [] if here.tally is None else here.tally.parts.values()
    return ", ".join(dict.fromkeys(str(url) for part in parts for url in part.urls.values()))


def panel(here: Here) -> str | None:
    """The verdict and what led to it; None where no test has begun."""
    tally = here.tally
    return None if tally is None else html.panel(tally.report(), running=tally.ended is None)


def with_verdict(page: str, here: Here, theme: str = "") -> str:
    """One of Locust's reports with the verdict at its top, and the target as its host."""
    shown = panel(here)
    if shown is None:
        return page
    style = "max-width: 1488px; margin: 16px auto; padding: 0 24px"
    place = f'<section id="loadmux-verdict" class="{theme}" style="{style}">'
    tree = f'{place}<template shadowrootmode="open">\n{shown}</template></section>'
    head, root, rest = page.rpartition(ROOT)
    rest = rest.replace(NO_HOST, f'"host": {json.dumps(target(here))}', 1)
    return f"{head}{tree}\n{root}{rest}" if root else page


def keep(here: Here) -> None:
    """Have the file of `--html` written once more when the program ends. Not on a worker."""
    options = here.environment.parsed_options
    if options is None or not options.html_file:
        return

    def write(**_: Any) -> None:
        try:
            _write(here, options)
        except Exception as error:  # Locust's own, too: the verdict stands all the same
            logger.error("--html: the verdict could not be written into it: %s", error)

    here.environment.events.quit.add_listener(write)


def _write(here: Here, options: Any) -> None:
    process_html_filename(options)
    page = with_verdict(get_html_report(here.environment, show_download_link=False), here)
    if folder := os.path.dirname(options.html_file):
        os.makedirs(folder, exist_ok=True)
    with open(options.html_file, "w", encoding="utf-8") as file:
        file.write(page)
