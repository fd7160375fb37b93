import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from helpers import Accelerator, run

from jaxrnn import SUITES, Experiment, InputError, machine, run_trials
from jaxrnn.sweeps.run import product
from jaxrnn.training import memory
from jaxrnn.training.engine import Chunk
from jaxrnn.training.lanes import most_lanes
from jaxrnn.training.memory import check_memory, check_program
from jaxrnn.training.runner import check

ORDER = SUITES["6a"].at(trials=10)


@pytest.fixture
def free(monkeypatch):
    """Sets how much memory there is, in bytes."""

    def set_free(size):
        monkeypatch.setattr(memory, "free_memory", lambda: size)

    set_free(16e9)
    return set_free


# What is refused


@pytest.mark.parametrize(
    ("experiment", "named"),
    [
        (Experiment(hidden_size=20_000), "hidden-size 20000"),
        (Experiment(hidden_size=2**31 - 1), "hidden-size 2147483647"),
        (Experiment(length=2**31 - 1), "length 2147483647"),
        (Experiment(length=10**9, task="parity"), "length 1000000000"),
        (Experiment(length=10**7, task="adding", cell="delta_net"), "length 10000000"),
        (Experiment(trials=10**9), "trials 1000000000"),
        (Experiment(layers=100_000), "layers 100000"),
        (
            Experiment(batch_size=10**7, max_steps=10**8, length=50, task="adding"),
            "batch-size 10000000",
        ),
        (Experiment(window=10**9, max_steps=2**31 - 1, max_failures=1), "window 1000000000"),
        (Experiment(test_size=2 * 10**9), "test-size 2000000000"),
        (Experiment(final_test=10**9), "final-test 1000000000"),
        (replace(ORDER, cell_options={"block_size": 10**9}), "block-size 1000000000"),
        (
            SUITES["2c"].at(task_options={"num_distractors": 10**9}),
            "num-distractors 1000000000",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_fit_is_refused_by_the_setting_that_is_too_great(
    free, experiment, named, monkeypatch
):
    monkeypatch.setattr(jax, "device_put", None)  # no array is made
    with pytest.raises(InputError) as refused:
        run_trials(experiment)
    sentence = str(refused.value)
    assert sentence.startswith(f"{named}: this needs more than ")
    assert sentence.endswith(f" but only 16 GB are free: lower {named.split()[0]}")
    assert "\n" not in sentence


def test_sides_beyond_32_bits_are_refused(free):
    with pytest.raises(InputError, match="hidden-size 1000000000000 must be below 2147483648"):
        Experiment(hidden_size=10**12)
    experiment = SUITES["2c"].at(task_options={"num_distractors": 10**12})
    with pytest.raises(InputError, match="num_distractors 1000000000000 must be below 2147483648"):
        run_trials(experiment)


def test_lanes_are_to_be_lowered_where_fewer_would_fit(free):
    experiment = Experiment(trials=2000)
    check_memory(Experiment(trials=100_000), lanes=10**9)  # those beyond the trials cost nothing
    check_memory(Experiment(window=2**31 - 1, max_steps=2**31 - 1))  # nor does a streak
    free(40e6)
    check_memory(experiment, lanes=100)
    with pytest.raises(InputError, match=r"^lanes 2000: .* of 2000 lanes, .*: lower lanes$"):
        check_memory(experiment, lanes=2000)
    check_memory(experiment, lanes=2000, num_trials=100)
    with pytest.raises(InputError, match="100000 training sequences in 100 lanes"):
        check_memory(experiment, lanes=100, chunk_updates=100_000)


def test_what_is_let_pass_is_refused_once_its_program_is_compiled(free, monkeypatch):
    experiment = Experiment(cell="simple_rnn", trials=60, length=30, max_steps=2000)
    free(12e6)
    monkeypatch.setattr(Chunk, "__call__", None)  # nothing is trained
    check_memory(experiment, lanes=60)
    with pytest.raises(
        InputError, match=r"^lanes 60: .* for the program of 60 lanes, .*: lower lanes$"
    ):
        run_trials(experiment, lanes=60)
    with pytest.raises(InputError, match=r"^hidden-size 20, length 30: .*: lower hidden-size or"):
        check_program(experiment, 7_000_000, 3, jax.devices())
    check_program(experiment, 5_000_000, 3, jax.devices())


def test_weights_that_are_kept_of_every_trial_count(free):
    free(200e6)
    experiment = Experiment(trials=20_000)  # of 11 kB each
    check_memory(experiment)
    with pytest.raises(InputError, match=r"^trials 20000: .* for the last weights of all trials"):
        check_memory(experiment, keep_params=True)


def test_how_much_there_is_here_does_not_matter_where_trials_run_elsewhere(free):
    free(0)
    check(Experiment(length=5), here=False)
    with pytest.raises(InputError, match="0 GB are free"):
        check(Experiment(length=5))


def test_a_grid_is_refused_before_it_has_a_value_for_each_trial(free):
    with pytest.raises(InputError, match="trials 2000000000: "):
        product(Experiment(trials=10**9), {"learning_rate": (1.0, 2.0)})


def test_a_device_with_memory_of_its_own_has_its_own_limit(free, monkeypatch):
    devices = [Accelerator(10_000_000)] * 3
    monkeypatch.setattr(memory.jax, "devices", lambda: devices)
    size = check_memory(Experiment(trials=10_000))  # in fewer lanes
    assert 100 < most_lanes(size, 10_000, devices) < 1000
    with pytest.raises(InputError, match=r"^lanes 1002: .*on the devices.* 0.03 GB are free"):
        check_memory(Experiment(trials=10_000), lanes=1000)
    with pytest.raises(InputError, match=r"^hidden-size 1000: .*on the devices.* 0.03 GB are free"):
        check_memory(Experiment(trials=10_000, hidden_size=1000))


def test_a_command_that_is_refused_makes_no_directory(free, tmp_path, monkeypatch, capsys):
    free(1e6)
    for arguments in (["sweep"], ["sweep", "--clip", "1", "5"], ["sweep", "--experiment", "6a"]):
        out = tmp_path / "out"
        assert run(*arguments, "--out", out) == 2
        assert "GB are free: lower" in capsys.readouterr().err
        assert not out.exists()


HUNDRED = """
import os
import warnings
from jaxrnn import Experiment, run_trials
from jaxrnn.training.compiling import CPU_OPTIONS
CPU_OPTIONS["xla_backend_optimization_level"] = 0  # it takes long enough
warnings.simplefilter("ignore")
tasks = "noise_free", "parity", "copying", "induction"
for k in range(100):
    net = {"cell": ("simple_rnn", "ind_rnn")[k % 2], "task": tasks[k // 2 % 4]}
    net["length"] = 4 + k // 8
    run_trials(Experiment(**net, hidden_size=4, trials=10, max_steps=30, window=20, max_failures=0))
    with open("/proc/self/status") as status:
        said = dict(line.split()[:2] for line in status if len(line.split()) > 1)
    print(said["VmRSS:"], said["Threads:"], len(os.listdir("/proc/self/fd")))
"""


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_a_hundred_nets_in_one_process_take_as_much_memory_as_sixty():
    of_this_package = {"PYTHONPATH": str(Path(memory.__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, "-c", HUNDRED],
        env=os.environ | of_this_package | {"JAX_NUM_CPU_DEVICES": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    kilobytes, threads, files = zip(
        *(map(int, line.split()) for line in ended.stdout.splitlines()), strict=True
    )
    megabytes = [one * 1024 / 1e6 for one in kilobytes]
    assert len(megabytes) == 100
    assert len({*threads[29:]}) == len({*files[29:]}) == 1, (threads, files)
    assert max(megabytes) <= 1000  # machines differ by half: 500 to 700 were seen
    # The programs that are held (engine.HELD) are all there by the 57th net; what JAX traces,
    # which it is made to forget now and then, comes and goes.
    assert max(megabytes[80:]) <= 1.1 * max(megabytes[50:70])


# The memory there is


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Writes the files of a kernel; the real limits of this process do not count."""
    monkeypatch.setattr(machine, "_ROOT", tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    write({"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:  8000 kB\nSwapFree:  100 kB\n"})
    return write


def test_the_memory_mappings_that_are_left(root):
    assert not machine.few_mappings_left()  # not Linux
    for used, few in ((4, False), (5, True)):
        root({"proc/sys/vm/max_map_count": "10\n", "proc/self/maps": "a mapping\n" * used})
        assert machine.few_mappings_left() == few


GROUP, FIRST = "sys/fs/cgroup/a", "sys/fs/cgroup/memory/memory"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 8000 * 1024),
        (
            {  # Version 2 counts with the groups above; pages of files can be taken back.
                "proc/self/cgroup": "0::/a/b\n",
                f"{GROUP}/b/memory.max": "max\n",
                f"{GROUP}/b/memory.current": "700000\n",
                f"{GROUP}/b/memory.stat": "anon 1\n",
                f"{GROUP}/memory.max": "1000000\n",
                f"{GROUP}/memory.current": "900000\n",
                f"{GROUP}/memory.stat": "anon 5\nfile 9\ninactive_file 30000\nactive_file 7\n",
            },
            1_000_000 - 900_000 + 30_007,
        ),
        (
            {  # Version 1 where the container sees it
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/of/the/host\n0::/\n",
                f"{FIRST}.limit_in_bytes": "5000000\n",
                f"{FIRST}.usage_in_bytes": "1000000\n",
                f"{FIRST}.stat": "total_active_file 20\ntotal_inactive_file 300\n",
            },
            5_000_000 - 1_000_000 + 320,
        ),
    ],
    ids=["machine", "version 2", "version 1"],
)
def test_the_least_that_the_machine_and_a_control_group_leave_counts_and_the_swap(
    root, files, left
):
    root(files)
    assert machine.free_memory() == left + 100 * 1024


@pytest.mark.parametrize(("kind", "used"), [("RLIMIT_AS", 50), ("RLIMIT_DATA", 20)])
def test_the_limits_of_the_process_count_less_what_it_has(root, monkeypatch, kind, used):
    root({"proc/self/statm": "50 40 30 5 0 20 0\n"})
    monkeypatch.setattr(resource, "getpagesize", lambda: 4096)
    limits = {getattr(resource, kind): 1_000_000}
    monkeypatch.setattr(
        resource, "getrlimit", lambda kind: (limits.get(kind, resource.RLIM_INFINITY), 0)
    )
    assert machine.free_memory() == 1_000_000 - used * 4096
