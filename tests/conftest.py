import os
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
# Most programs run once, so that compiling is all their time. Those of the engine have a level of
# their own.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax  # noqa: E402

# Nothing may rely on implicit promotion of types or ranks.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def no_programs_held():
    """What a test compiles it compiles itself, whatever ran before it."""
    from jaxrnn.training.programs import forget_programs

    forget_programs()


@pytest.fixture(scope="module")
def rows(request):
    """The kept rows of the run that a module's page is about, in its KEPT."""
    from jaxrnn.store.rows import typed_rows

    return typed_rows(request.module.KEPT)


@pytest.fixture(scope="module")
def text(request):
    """That page."""
    return (request.module.KEPT / "README.md").read_text()


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
