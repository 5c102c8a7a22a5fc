"""What loadmux adds to Locust's page: two tabs, a download, and the check before a start.

The tab Evidence rides on the poll that the page makes anyway, `/stats/requests`: its answer is
memoized by Locust, so the rows go into a new one. A start that cannot work is refused with its
reason before anything runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, make_response, request
from locust.argument_parser import ui_extra_args_dict
from locust.web import WebUI

from loadmux.errors import LoadmuxError, UsageError
from loadmux.locust import verdict
from loadmux.locust.described import Described, concrete
from loadmux.locust.evidence import COLUMNS, TAB, as_csv, rows
from loadmux.locust.guarding import (
    Refused,
    check_fields,
    check_sender,
    check_settings,
    keep_to_ourselves,
)
from loadmux.locust.here import Here
from loadmux.locust.plugin import Plugin

logger = logging.getLogger("loadmux")


def install(web_ui: WebUI, plugin: Plugin) -> None:
    """Put the tabs, the download, and the check before a start into Locust's page."""
    app = web_ui.app
    assert app is not None
    _offer(web_ui)
    if len(plugin.here.classes()) == len(plugin.here.environment.user_classes):
        _ask_for_no_host(web_ui)
    keep_to_ourselves(app)
    _refuse_strangers(app, plugin)  # first: nothing is got ready for a stranger
    _check_starts(app, web_ui, plugin)
    _serve_evidence(app, web_ui, plugin.here)
    verdict.install(web_ui, plugin.here, plugin.ready.choices)


def _offer(web_ui: WebUI) -> None:
    """Name the tabs and the download to the page."""
    web_ui.template_args["extended_tabs"] = [{"title": "Evidence", "key": TAB}, verdict.TAB]
    structure = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    web_ui.template_args["extended_tables"] = [{"key": TAB, "structure": structure}]
    web_ui.template_args["extended_csv_files"] = [
        {"href": "./loadmux/evidence/csv", "title": "Download evidence CSV"}
    ]


def _starts() -> bool:
    """Whether what is asked is a start, or an edit of one."""
    return request.method == "POST" and request.path.endswith("/swarm")


def _refuse_strangers(app: Flask, plugin: Plugin) -> None:
    ours = [one.__name__ for one in concrete(Described)]
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
            if _starts():
                check_fields(request.form, fields)
                if "scenario" in request.form:
                    plugin.ready.choices.check(request.form["scenario"])
            elif request.method == "POST" and request.path.endswith("/user"):
                check_settings(request.get_json(force=True, silent=True), ours)
        except (Refused, UsageError) as error:
            logger.warning("refused: %s", error)
            return jsonify({"success": False, "message": str(error)}), 403
        return None


def _check_starts(app: Flask, web_ui: WebUI, plugin: Plugin) -> None:
    @app.before_request
    def refuse_bad_start() -> Response | None:
        if not _starts():
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
        if _starts() and not (response.is_json and response.get_json().get("success")):
            plugin.ready.discard()
        return response


def _serve_evidence(app: Flask, web_ui: WebUI, here: Here) -> None:
    @app.after_request
    def add_evidence(response: Response) -> Response:
        if not request.path.endswith("/stats/requests") or response.status_code != 200:
            return response
        report = response.get_json()
        return jsonify({**report, "extended_stats": [{"key": TAB, "data": rows(here)}]})

    def evidence_csv() -> Response:
        answer = make_response(as_csv(here))
        answer.headers["Content-Type"] = "text/csv"
        answer.headers["Content-Disposition"] = "attachment;filename=loadmux_evidence.csv"
        return answer

    base = app.blueprints["locust"].url_prefix or ""
    protected = web_ui.auth_required_if_enabled(evidence_csv)
    app.add_url_rule(f"{base}/loadmux/evidence/csv", view_func=protected)


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
