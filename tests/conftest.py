import os
import platform
import shutil
import tempfile
from contextlib import suppress

# Before jax is imported: two CPU devices, so that every run is a sharded one, and one cache of
# compiled programs for all tests and the processes that they start.
_cache = tempfile.TemporaryDirectory(prefix="jaxrnn-tests-")
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
# What the CPU promises is tested on it, wherever; test_gpu.py says how to ask a GPU, too.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _cache.name)  # faults.py has one
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Nobody reads from which lines of code a program came.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# The kept rows were made without AVX-512, and with it LAPACK draws other orthogonal weights.
if platform.machine() == "x86_64":
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")

import jax  # noqa: E402

# Most programs run once, so that compiling is all their time: they are not optimized, and XLA's
# older emitters compile in two thirds of the time. A newer XLA lacks these, and refuses the flag.
_LEVEL = "xla_backend_optimization_level"
_OLDER = "--xla_cpu_use_fusion_emitters=false" if jax.__version_info__ < (0, 11) else ""
os.environ.setdefault("XLA_FLAGS", f"--{_LEVEL}=0 {_OLDER}")

# Nothing may rely on implicit promotion of types or ranks.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

import pytest  # noqa: E402

from jaxrnn.training.compiling import CPU_OPTIONS  # noqa: E402
from jaxrnn.training.engine import forget_programs  # noqa: E402

_OF_USERS = CPU_OPTIONS | ({"xla_cpu_use_fusion_emitters": True} if _OLDER else {})
CPU_OPTIONS[_LEVEL] = 0


@pytest.fixture
def fresh_programs():
    """The test compiles its programs itself, whatever ran before it; others share them."""
    forget_programs()


def _as_users_have_it():
    """The engine's programs, here and in processes that it starts, are compiled as users have them:
    for tests of how they round, or that compare the two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XLA_FLAGS")
        for name, value in _OF_USERS.items():
            patch.setitem(CPU_OPTIONS, name, value)
        forget_programs()  # which were compiled otherwise
        yield
    forget_programs()


as_users_have_it = pytest.fixture(_as_users_have_it)
module_as_users_have_it = pytest.fixture(_as_users_have_it, scope="module")


@pytest.fixture
def x64():
    """The test runs with 64 bit numbers as jax's default."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def standard_promotion():
    """The test runs with jax's own promotion of types, for libraries that rely on it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def browser():
    """A real one without a window, where one is installed."""
    chrome = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chrome is None or driver is None:
        pytest.skip("there is no Chromium here with its driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1200,900"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield driver
    with suppress(Exception):
        driver.quit()
