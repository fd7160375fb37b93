"""TensorFlow in graph mode: the notebook's own program on ``tensorflow.compat.v1``."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from frameworks import Problem, Run, symbols

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)


def weights_of(problem: Problem) -> list[dict[str, np.ndarray]]:
    """Each trial's first weights by the notebook's names; the LSTM's stacked [4, rows, H]."""
    trials = []
    for trial in range(len(problem.weights["bias"])):
        w = {name: value[trial] for name, value in problem.weights.items()}
        if problem.cell == "simple_rnn":
            named = {"W": w["input_weights"], "U": w["recurrent_weights"], "b1": w["bias"]}
            named |= {"V": w["output_weights"], "b2": w["output_bias"]}
        else:
            named = {"W": np.stack(np.split(w["recurrent_weights"], 4, axis=1))}
            named |= {"U": np.stack(np.split(w["input_weights"], 4, axis=1))}
            named |= zip(("bi", "bf", "bo", "bc"), np.split(w["bias"], 4), strict=True)
            named |= {"V": w["output_weights"], "bl": w["output_bias"]}
        trials.append(named)
    return trials


def simple_rnn_logits(sequence: Any, v: dict[str, Any]) -> list[Any]:
    """The simple RNN unrolled: the logits [1, T] of each step."""
    h = tf.zeros([1, v["U"].shape[0].value])
    logits = []
    for t in range(sequence.shape[0].value):
        h = tf.tanh(tf.matmul(sequence[t : t + 1], v["W"]) + tf.matmul(h, v["U"]) + v["b1"])
        logits.append(tf.matmul(h, v["V"]) + v["b2"])
    return logits


def lstm_logits(sequence: Any, v: dict[str, Any]) -> list[Any]:
    """The LSTM unrolled, one gate after the other out of the stacked tensors."""

    def net(gate: int, x: Any, h: Any, bias: str) -> Any:
        return tf.matmul(x, v["U"][gate]) + tf.matmul(h, v["W"][gate]) + v[bias]

    state = tf.zeros([2, 1, v["W"].shape[1].value])
    logits = []
    for t in range(sequence.shape[0].value):
        x = sequence[t : t + 1]
        h, c = tf.unstack(state)
        i = tf.sigmoid(net(0, x, h, "bi"))
        f = tf.sigmoid(net(1, x, h, "bf"))
        o = tf.sigmoid(net(2, x, h, "bo"))
        c = c * f + tf.tanh(net(3, x, h, "bc")) * i
        h = tf.tanh(c) * o
        logits.append(tf.matmul(h, v["V"]) + v["bl"])
        state = tf.stack([h, c])
    return logits


def build(problem: Problem) -> Run:
    """The graph once, and a ``session.run`` for each step of each trial.

    A trial's weights are put into the one session before its steps and taken out after them, which
    the timed run contains: two calls beside its hundreds of steps.
    """
    trials = weights_of(problem)
    length = problem.length
    with tf.Graph().as_default() as graph:
        variables = {
            # The first trial's shapes; every trial's values are loaded.
            name: tf.get_variable(name, value.shape, initializer=tf.zeros_initializer())
            for name, value in trials[0].items()
        }
        sequence = tf.placeholder(tf.float32, [length, length])
        # Differs from the notebook: learning rate and clip can be fed, for the check.
        rate, bound = (tf.placeholder_with_default(tf.constant(x), []) for x in (1.0, 5.0))
        unrolled = simple_rnn_logits if problem.cell == "simple_rnn" else lstm_logits
        logits = unrolled(sequence, variables)[:-1]
        loss: Any = 0.0
        errors = []
        for t, step_logits in enumerate(logits):
            target = sequence[t + 1 : t + 2]
            entropy = tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=step_logits)
            loss += tf.reduce_mean(entropy)
            errors.append(tf.reduce_max(tf.abs(tf.nn.softmax(step_logits) - sequence[t + 1])))
        error = tf.reduce_max(errors)
        optimizer = tf.train.GradientDescentOptimizer(rate)
        gradients = optimizer.compute_gradients(loss / len(logits))
        train = optimizer.apply_gradients(
            [(tf.clip_by_value(gradient, -bound, bound), v) for gradient, v in gradients]
        )
        fed = {name: tf.placeholder(tf.float32, v.shape) for name, v in variables.items()}
        load = tf.group(*[tf.assign(v, fed[name]) for name, v in variables.items()])
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    session = tf.Session(graph=graph, config=config)

    def run(coins: np.ndarray, learning_rate: float, clip: float) -> np.ndarray:
        settings = {} if (learning_rate, clip) == (1.0, 5.0) else {rate: learning_rate, bound: clip}
        found = np.empty(coins.shape, np.float32)
        for trial, weights in enumerate(trials):
            session.run(load, {fed[name]: value for name, value in weights.items()})
            for step, coin in enumerate(coins[:, trial]):
                one_hot = np.zeros((length, length))
                one_hot[np.arange(length), symbols(coin, length)] = 1
                found[step, trial], _ = session.run([error, train], {sequence: one_hot} | settings)
            trials[trial] = session.run(variables)
        return found

    return run
