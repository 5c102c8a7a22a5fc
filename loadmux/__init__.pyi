from loadmux.running.library import RunReport as RunReport
from loadmux.running.library import run as run

__version__: str
