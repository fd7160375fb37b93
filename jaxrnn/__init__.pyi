"""The public names: each is imported from its module when it is first asked for."""

from jaxrnn.errors import InputError as InputError
from jaxrnn.experiment import Experiment as Experiment
from jaxrnn.nets import (
    CELLS as CELLS,
    INITIALIZERS as INITIALIZERS,
    Cell as Cell,
    Initializer as Initializer,
    bidirectional as bidirectional,
    stack as stack,
    unroll as unroll,
)
from jaxrnn.nets.adapters import (
    from_equinox as from_equinox,
    from_linen as from_linen,
    from_nnx as from_nnx,
)
from jaxrnn.nets.delta import (
    delta_net as delta_net,
    delta_product as delta_product,
    gated_delta_net as gated_delta_net,
)
from jaxrnn.nets.gated import gated as gated
from jaxrnn.nets.gru import gru as gru, janet as janet, mgu as mgu, ugrnn as ugrnn
from jaxrnn.nets.initializers import notebook_xavier as notebook_xavier, xavier as xavier
from jaxrnn.nets.layers import convolved as convolved
from jaxrnn.nets.linear import lru as lru, min_gru as min_gru, min_lstm as min_lstm
from jaxrnn.nets.lstm import (
    lstm as lstm,
    lstm_coupled as lstm_coupled,
    lstm_layer_norm as lstm_layer_norm,
    lstm_no_forget as lstm_no_forget,
    lstm_peephole as lstm_peephole,
)
from jaxrnn.nets.orthogonal import exp_rnn as exp_rnn, sco_rnn as sco_rnn
from jaxrnn.nets.paper_1997 import (
    memory_blocks as memory_blocks,
    one_cell as one_cell,
    self_recurrent as self_recurrent,
)
from jaxrnn.nets.selective import rwkv as rwkv, s6 as s6
from jaxrnn.nets.simple import (
    co_rnn as co_rnn,
    ind_rnn as ind_rnn,
    irnn as irnn,
    simple_rnn as simple_rnn,
)
from jaxrnn.nets.xlstm import mlstm as mlstm, slstm as slstm
from jaxrnn.outcome import Outcome as Outcome
from jaxrnn.problems import (
    NOTEBOOK as NOTEBOOK,
    SUITES as SUITES,
    TASKS as TASKS,
    Published as Published,
    Sequence as Sequence,
    Solved as Solved,
    Source as Source,
    Suite as Suite,
    Task as Task,
)
from jaxrnn.problems.data import task_from_arrays as task_from_arrays
from jaxrnn.problems.long_lag import noise_free as noise_free
from jaxrnn.report.compare import (
    Comparison as Comparison,
    compare as compare,
    kaplan_meier as kaplan_meier,
)
from jaxrnn.report.horizon import (
    Horizon as Horizon,
    Octaves as Octaves,
    horizon as horizon,
    horizons as horizons,
    octaves as octaves,
    octaves_between as octaves_between,
)
from jaxrnn.report.summary import Rows as Rows, summarize as summarize
from jaxrnn.store.rows import read_rows as read_rows
from jaxrnn.store.run_directory import RunDirectory as RunDirectory
from jaxrnn.sweeps.run import (
    open_run as open_run,
    product as product,
    run as run,
)
from jaxrnn.sweeps.verify import Verification as Verification, verify as verify
from jaxrnn.trained import TrainedNets as TrainedNets, load_weights as load_weights
from jaxrnn.training.objectives import OBJECTIVES as OBJECTIVES, cross_entropy as cross_entropy
from jaxrnn.training.optimizers import (
    OPTIMIZERS as OPTIMIZERS,
    SCHEDULES as SCHEDULES,
    clipped_adam as clipped_adam,
    clipped_adamw as clipped_adamw,
    clipped_rmsprop as clipped_rmsprop,
    clipped_sgd as clipped_sgd,
)
from jaxrnn.training.runner import run_trials as run_trials
from jaxrnn.yardstick.held_out import HeldOut as HeldOut, held_out as held_out
from jaxrnn.yardstick.run import run_horizon as run_horizon
from jaxrnn.yardstick.search import HorizonProtocol as HorizonProtocol
from jaxrnn.yardstick.view import write_report as write_report

__version__: str
