"""What loadmux adds to Locust's command line, start form and page.

Options that Locust's parser gets appear in the start form by themselves. The tab Evidence rides on
the poll that the page makes anyway, `/stats/requests`: its answer is memoized by Locust, so the
rows go into a new one. A start that cannot work is refused with its reason before anything runs.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Response, jsonify, make_response, request
from locust.argument_parser import LocustArgumentParser, ui_extra_args_dict
from locust.web import WebUI

from loadmux.checking.rules import RULES
from loadmux.driver.poller import available
from loadmux.errors import Evidence, LoadmuxError, Moment, UsageError
from loadmux.locust import verdict
from loadmux.locust.described import Described, concrete
from loadmux.locust.form import LIES
from loadmux.locust.guarding import (
    Refused,
    check_fields,
    check_sender,
    check_settings,
    keep_to_ourselves,
)
from loadmux.locust.plugin import Plugin
from loadmux.locust.preparation import BEST, NONE, OWN
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.stats import FaultGroup
from loadmux.report import figures
from loadmux.running.catalog import models

logger = logging.getLogger("loadmux")

TAB = "evidence"
SHOWN_BEFORE = 12
WIDTH = 60
COLUMNS = {
    "row": "Step",
    "kind": "Kind",
    "count": "# of its kind",
    "who": "User, iteration, socket",
    "offset": "Offset",
    "expected": "Expected there",
    "received": "Received there",
    "said": "The server said",
    "message": "What happened",
    "transcript": "Transcript",
}


class Offered(list[str]):
    """Choices for a form that, on the command line, are not the only ones: URLs, other files."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str)


def add_options(parser: LocustArgumentParser) -> None:
    """Our options: on the command line, and those of a start in the form."""
    classes = list(concrete(Described))
    if len(classes) == 1:
        own = classes[0].scenario
        offered = Offered(dict.fromkeys([*([own] if own else []), *classes[0].offered()]))
        parser.add_argument(
            "--scenario",
            env_var="LOCUST_SCENARIO",
            choices=offered,
            default=own or offered[0],
            metavar="FILE",
            help="The scenario file, or a bundled one's name",
        )
    parser.add_argument(
        "--target",
        env_var="LOCUST_TARGET",
        choices=Offered([OWN, *models()]),
        default=OWN,
        metavar="MODEL|URL",
        help="A bundled target server, in place of the scenario's; a URL goes into Host",
    )
    parser.add_argument(
        "--command",
        env_var="LOCUST_COMMAND",
        default="",
        metavar="WORDS",
        include_in_web_ui=False,
        help="Starts a server of your own, with {port} where its port stands",
    )
    parser.add_argument(
        "--reply",
        env_var="LOCUST_REPLY",
        choices=[OWN, *RULES],
        default=OWN,
        help="The rule by which the target replies",
    )
    parser.add_argument(
        "--fault",
        env_var="LOCUST_FAULT",
        choices=Offered([NONE, *LIES]),
        default=NONE,
        metavar="NAME",
        help="Have the bundled target lie, e.g. flip:20 (loadmux targets)",
    )
    parser.add_argument(
        "--poller",
        env_var="LOCUST_POLLER",
        choices=[BEST, *available()],
        default=BEST,
        help="How the driver waits",
    )
    parser.add_argument(
        "--seed",
        env_var="LOCUST_SEED",
        default="",
        include_in_web_ui=False,
        help="All chance comes from it",
    )
    parser.add_argument(
        "--var",
        action="append",
        metavar="NAME=VALUE",
        include_in_web_ui=False,
        help="Sets one of the scenario's variables; repeatable",
    )

    parser.add_argument(
        "--report",
        action="append",
        metavar="NAME[=FILE]",
        include_in_web_ui=False,
        help="Also as junit, html, markdown, ...: print or write; repeatable",
    )
    parser.add_argument(
        "--web-name",
        action="append",
        metavar="NAME",
        include_in_web_ui=False,
        help="Another name by which the page is reached, that of a proxy say; repeatable",
    )

    parser.add_argument(
        "--take-code",
        env_var="LOCUST_TAKE_CODE",
        action="store_true",
        include_in_web_ui=False,
        help="A worker runs the Python that its master's scenarios call (so does -f -)",
    )
    parser.add_argument(
        "--worker-key",
        env_var="LOCUST_WORKER_KEY",
        metavar="WORD",
        include_in_web_ui=False,
        help="A word that master and workers have in common: others take no part",
    )


def install(web_ui: WebUI, plugin: Plugin) -> None:
    """Put the tab, its download, and the check before a start into Locust's page."""
    web_ui.template_args["extended_tabs"] = [{"title": "Evidence", "key": TAB}, verdict.TAB]
    structure = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    web_ui.template_args["extended_tables"] = [{"key": TAB, "structure": structure}]
    web_ui.template_args["extended_csv_files"] = [
        {"href": "./loadmux/evidence/csv", "title": "Download evidence CSV"}
    ]
    if len(plugin.here.classes()) == len(plugin.here.environment.user_classes):
        _ask_for_no_host(web_ui)
    app = web_ui.app
    assert app is not None
    keep_to_ourselves(app)
    ours = [one.__name__ for one in concrete(Described)]

    def starts() -> bool:
        return request.method == "POST" and request.path.endswith("/swarm")

    fields = set(ui_extra_args_dict())
    options = plugin.here.options
    names = [options.get("web_host_display_name"), *(options.get("web_name") or ())]
    names = [urlsplit(one).hostname or one for one in names if one]
    bound = options.get("web_host") or ""

    @app.before_request
    def refuse_strangers() -> Response | tuple[Response, int] | None:
        try:
            told = request.headers
            origin, site = told.get("Origin"), told.get("Sec-Fetch-Site")
            check_sender(request.method, told.get("Host", ""), origin, site, names, bound)
            if starts():
                check_fields(request.form, fields)
                if "scenario" in request.form:
                    plugin.ready.choices.check(request.form["scenario"])
            elif request.method == "POST" and request.path.endswith("/user"):
                check_settings(request.get_json(force=True, silent=True), ours)
        except (Refused, UsageError) as error:
            logger.warning("refused: %s", error)
            return jsonify({"success": False, "message": str(error)}), 403
        return None

    @app.before_request
    def refuse_bad_start() -> Response | None:
        if not starts():
            return None
        try:
            form = {**request.form.to_dict(), "num_users": request.form.get("user_count")}
            choice = plugin.ready.choice(form)
            if plugin.here.running:
                named = "user_classes" in request.form
                plugin.ready.check_edit(choice, picked(web_ui) if named else None)
            else:
                plugin.ready.prepare_start(choice, picked(web_ui))
        except LoadmuxError as error:
            host = plugin.here.environment.host
            return jsonify({"success": False, "message": str(error), "host": host})
        return None

    @app.after_request
    def leave_nothing_behind(response: Response) -> Response:
        """What Locust itself refuses was got ready in vain."""
        if starts() and not (response.is_json and response.get_json().get("success")):
            plugin.ready.discard()
        return response

    @app.after_request
    def add_evidence(response: Response) -> Response:
        if not request.path.endswith("/stats/requests") or response.status_code != 200:
            return response
        report = response.get_json()
        return jsonify({**report, "extended_stats": [{"key": TAB, "data": evidence(plugin)}]})

    base = app.blueprints["locust"].url_prefix or ""

    def evidence_csv() -> Response:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writerow(COLUMNS)
        writer.writerows(evidence(plugin))
        answer = make_response(text.getvalue())
        answer.headers["Content-Type"] = "text/csv"
        answer.headers["Content-Disposition"] = "attachment;filename=loadmux_evidence.csv"
        return answer

    protected = web_ui.auth_required_if_enabled(evidence_csv)
    app.add_url_rule(f"{base}/loadmux/evidence/csv", view_func=protected)
    verdict.install(web_ui, plugin.here, plugin.ready.choices)


def picked(web_ui: WebUI) -> list[type[Described]] | None:
    """Our classes among those that are ticked in the form; None where it offers no choice."""
    if not web_ui.userclass_picker_is_active:
        return None
    available = web_ui.environment.available_user_classes or {}
    names = request.form.getlist("user_classes") or list(available)
    found: list[Any] = [available[name] for name in names if name in available]
    return [one for one in found if issubclass(one, Described)]


def _ask_for_no_host(web_ui: WebUI) -> None:
    """Where only our classes run, the form does not ask for a host: scenarios have a target."""
    update: Callable[[], None] = web_ui.update_template_args

    def update_without_warning() -> None:
        update()
        web_ui.template_args["missing_host_warning"] = False

    vars(web_ui)["update_template_args"] = update_without_warning


def evidence(plugin: Plugin) -> list[dict[str, Any]]:
    """The first occurrences of every kind of fault at every step, as rows."""
    if plugin.here.tally is None:
        return []
    found = [
        (group, name, part.stats.consequences)
        for name, part in plugin.here.tally.parts.items()
        for group in part.stats.faults.values()
    ]
    found.sort(key=lambda one: one[0].first)
    return [
        row_of(f"{name}: {group.step}" if plugin.here.prefixed else group.step, group, example)
        | {"message": followed(example, group, consequences)}
        for group, name, consequences in found
        for example in group.examples
    ]


def followed(example: Evidence, group: FaultGroup, consequences: Consequences) -> str:
    """What happened, and what that followed from."""
    cause = next(consequences.causes_of((group.kind, group.step)), None)
    if not example.follows or cause is None:
        return example.message
    return f"{example.message} (follows from {cause.kind} at step '{cause.step}')"


def row_of(step: str, group: FaultGroup, example: Evidence) -> dict[str, Any]:
    expected, received = (around(example, data) for data in (example.expected, example.received))
    return {
        "row": step,
        "kind": str(group.kind),
        "count": group.count,
        "who": f"{example.user}, {example.iteration}, {example.socket}",
        "offset": "" if example.offset is None else example.offset,
        "expected": expected,
        "received": received,
        "said": figures.shortened(example.said, WIDTH) if example.said else "",
        "message": example.message,
        "transcript": " | ".join(told(moment) for moment in example.transcript),
    }


def around(example: Evidence, data: bytes | None) -> str:
    """An excerpt's bytes from shortly before the first wrong one on."""
    if data is None:
        return ""
    wrong = (example.offset or 0) - example.excerpt_at
    return figures.shortened(data[max(0, wrong - SHOWN_BEFORE) :], WIDTH)


def told(moment: Moment) -> str:
    text = f"{moment.at:.6f} s {moment.what}"
    return (
        f"{text} {moment.size} B {figures.shortened(moment.data, WIDTH)}" if moment.size else text
    )
