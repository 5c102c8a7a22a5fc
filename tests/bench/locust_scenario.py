"""The locustfile of loadmux in `locust_compare.py`: `ping.yaml` by `ScenarioUser`.

`/stats/requests` is worked out anew for each request: Locust would answer from a cache for two
seconds, and how long it takes to make an answer would not show.
"""

from __future__ import annotations

from locust import web

from loadmux.locust import ScenarioUser

web.DEFAULT_CACHE_TIME = 0.0


class Ping(ScenarioUser):
    scenario = "ping.yaml"
