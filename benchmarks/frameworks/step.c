/* The notebook's update in plain C, one trial after another.
 *
 * Compiled for one net and one length: -DGATES=1 (simple RNN) or 4 (LSTM), -DHIDDEN=H, -DLENGTH=T.
 * Gates side by side: input, forget, output, candidate. One-hot inputs are row look-ups, and
 * each weight gradient is one sum over the time steps after the backward pass.
 */
#include <math.h>
#include <string.h>

enum { H = HIDDEN, T = LENGTH, G = GATES * HIDDEN, STEPS = LENGTH - 1 };

typedef struct {
    float input[T][G], recurrent[H][G], bias[G], output[H][T], output_bias[T];
} Net;

static float a[STEPS][G];         /* pre-activations, then gates, then their gradient */
static float h[STEPS + 1][H];     /* h[t + 1] follows symbol t; h[0] stays 0 */
static float c[STEPS + 1][H];     /* the LSTM's cell state, c[0] stays 0 */
static float tanh_c[STEPS][H];
static float p[STEPS][T];         /* probabilities, then the logits' gradient */
static float dh[STEPS][H];
static Net d;                     /* gradients */

static void forward(const Net *net, const int *symbol)
{
    for (int t = 0; t < STEPS; t++) {
        float sum[G];
        for (int k = 0; k < G; k++)
            sum[k] = net->input[symbol[t]][k] + net->bias[k];
        for (int j = 0; j < H; j++)
            for (int k = 0; k < G; k++)
                sum[k] += h[t][j] * net->recurrent[j][k];
#if GATES == 1
        for (int j = 0; j < H; j++)
            h[t + 1][j] = tanhf(sum[j]);
#else
        for (int k = 0; k < 3 * H; k++)
            a[t][k] = 1 / (1 + expf(-sum[k]));
        for (int k = 3 * H; k < G; k++)
            a[t][k] = tanhf(sum[k]);
        for (int j = 0; j < H; j++)
            c[t + 1][j] = a[t][H + j] * c[t][j] + a[t][j] * a[t][3 * H + j];
        for (int j = 0; j < H; j++)
            tanh_c[t][j] = tanhf(c[t + 1][j]);
        for (int j = 0; j < H; j++)
            h[t + 1][j] = a[t][2 * H + j] * tanh_c[t][j];
#endif
    }
}

/* Softmax and the gradient of the mean cross-entropy; returns the greatest absolute error. */
static float objective(const Net *net, const int *symbol)
{
    float error = 0;
    for (int t = 0; t < STEPS; t++) {
        float logits[T], greatest = -INFINITY, total = 0;
        memcpy(logits, net->output_bias, sizeof logits);
        for (int j = 0; j < H; j++)
            for (int o = 0; o < T; o++)
                logits[o] += h[t + 1][j] * net->output[j][o];
        for (int o = 0; o < T; o++)
            greatest = fmaxf(greatest, logits[o]);
        for (int o = 0; o < T; o++)
            p[t][o] = expf(logits[o] - greatest);
        for (int o = 0; o < T; o++)
            total += p[t][o];
        for (int o = 0; o < T; o++)
            p[t][o] /= total;
        error = fmaxf(error, 1 - p[t][symbol[t + 1]]);
        p[t][symbol[t + 1]] -= 1;
        for (int o = 0; o < T; o++)
            p[t][o] /= STEPS;
    }
    return error;
}

static void backward(const Net *net, const int *symbol)
{
    float later[H] = {0}; /* dh that comes from the next step */
    float dc[H] = {0};
    for (int t = 0; t < STEPS; t++)
        for (int j = 0; j < H; j++) {
            float sum = 0;
            for (int o = 0; o < T; o++)
                sum += p[t][o] * net->output[j][o];
            dh[t][j] = sum;
        }
    for (int t = STEPS - 1; t >= 0; t--) {
        for (int j = 0; j < H; j++) {
            float g = dh[t][j] + later[j];
#if GATES == 1
            a[t][j] = g * (1 - h[t + 1][j] * h[t + 1][j]);
#else
            float in = a[t][j], forget = a[t][H + j], out = a[t][2 * H + j];
            float candidate = a[t][3 * H + j];
            float dcell = dc[j] + g * out * (1 - tanh_c[t][j] * tanh_c[t][j]);
            a[t][j] = dcell * candidate * in * (1 - in);
            a[t][H + j] = dcell * c[t][j] * forget * (1 - forget);
            a[t][2 * H + j] = g * tanh_c[t][j] * out * (1 - out);
            a[t][3 * H + j] = dcell * in * (1 - candidate * candidate);
            dc[j] = dcell * forget;
#endif
        }
        for (int j = 0; j < H; j++) {
            float sum = 0;
            for (int k = 0; k < G; k++)
                sum += a[t][k] * net->recurrent[j][k];
            later[j] = sum;
        }
    }
    memset(&d, 0, sizeof d);
    for (int t = 0; t < STEPS; t++) {
        for (int k = 0; k < G; k++)
            d.input[symbol[t]][k] += a[t][k];
        for (int k = 0; k < G; k++)
            d.bias[k] += a[t][k];
        for (int o = 0; o < T; o++)
            d.output_bias[o] += p[t][o];
    }
    for (int j = 0; j < H; j++) {
        float recurrent[G] = {0}, output[T] = {0};
        for (int t = 0; t < STEPS; t++)
            for (int k = 0; k < G; k++)
                recurrent[k] += h[t][j] * a[t][k];
        for (int t = 0; t < STEPS; t++)
            for (int o = 0; o < T; o++)
                output[o] += h[t + 1][j] * p[t][o];
        memcpy(d.recurrent[j], recurrent, sizeof recurrent);
        memcpy(d.output[j], output, sizeof output);
    }
}

/* nets [N], coins and errors [C, N]. */
void train(Net *nets, const int *coins, float *errors, int num_trials, int num_steps,
           float learning_rate, float clip)
{
    for (int trial = 0; trial < num_trials; trial++) {
        Net *net = nets + trial;
        for (int step = 0; step < num_steps; step++) {
            int symbol[T];
            symbol[0] = symbol[T - 1] = T - 2 + coins[step * num_trials + trial];
            for (int t = 1; t < T - 1; t++)
                symbol[t] = t - 1;
            forward(net, symbol);
            errors[step * num_trials + trial] = objective(net, symbol);
            backward(net, symbol);
            float *w = (float *)net, *g = (float *)&d;
            for (size_t i = 0; i < sizeof d / sizeof *g; i++)
                w[i] -= learning_rate * fminf(fmaxf(g[i], -clip), clip);
        }
    }
}
