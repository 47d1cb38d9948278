// The benchmarks' workloads as one writes them by hand, derivatives and all, where speed is worth the trouble.
//
// Loops over columns are left to the compiler, which has vector forms of exp, log and erfc in the C library. Networks
// and matrices use vectors of eight numbers (GCC's and Clang's extension) and keep tiles of sums in registers.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

using Size = std::ptrdiff_t;
using Vector = double __attribute__((vector_size(64)));

namespace {

constexpr Size lanes = 8;
constexpr Size vectors = 8;  // of a full block of rows
constexpr Size block = lanes * vectors;
constexpr Size units = 16;

double sum(Vector v) {
    double total = 0.0;
    for (Size k = 0; k < lanes; ++k) total += v[k];
    return total;
}

Vector all(double x) { return Vector{} + x; }
Vector positive(Vector gate, Vector x) { return gate > 0.0 ? x : Vector{}; }

using Layer = Vector[units][vectors];

// The moons network: 2 inputs, two layers of 16 with ReLU, one output; hinge loss.
struct Moons {
    const double *p1, *p2, *p3;  // neuron by neuron, its weights and then its bias
    Vector x[2][vectors], y[vectors], on[vectors];
    Layer h1, h2, d1, d2;
    struct Sums {
        Vector g1[units][3], g2[units][units + 1], g3[units + 1], loss;
    } sums;

    // `used`: the vectors of this block.
    [[gnu::always_inline]] void forward(const Size used, Vector scale) {
        for (Size o = 0; o < units; ++o)
            for (Size v = 0; v < used; ++v) {
                const Vector z = p1[3 * o + 2] + p1[3 * o] * x[0][v] + p1[3 * o + 1] * x[1][v];
                h1[o][v] = positive(z, z);
            }
        for (Size o = 0; o < units; o += 4)
            for (Size v = 0; v < used; ++v) {
                Vector z[4];
                for (Size k = 0; k < 4; ++k) z[k] = all(p2[17 * (o + k) + units]);
                for (Size i = 0; i < units; ++i)
                    for (Size k = 0; k < 4; ++k) z[k] += p2[17 * (o + k) + i] * h1[i][v];
                for (Size k = 0; k < 4; ++k) h2[o + k][v] = positive(z[k], z[k]);
            }
        for (Size v = 0; v < used; ++v) {
            Vector score = all(p3[units]);
            for (Size i = 0; i < units; ++i) score += p3[i] * h2[i][v];
            const Vector margin = 1.0 - y[v] * score;
            sums.loss += scale * positive(margin, margin) * (y[v] * y[v]);  // rows that fill the last block have y = 0
            on[v] = positive(margin, -scale * y[v]);
        }
    }

    [[gnu::always_inline]] void backward(const Size used) {
        for (Size o = 0; o < units; ++o)
            for (Size v = 0; v < used; ++v) {
                d2[o][v] = positive(h2[o][v], p3[o] * on[v]);
                sums.g3[o] += on[v] * h2[o][v];
            }
        for (Size v = 0; v < used; ++v) sums.g3[units] += on[v];
        for (Size i = 0; i < units; i += 4)
            for (Size v = 0; v < used; ++v) {
                Vector d[4] = {};
                for (Size o = 0; o < units; ++o)
                    for (Size k = 0; k < 4; ++k) d[k] += p2[17 * o + i + k] * d2[o][v];
                for (Size k = 0; k < 4; ++k) d1[i + k][v] = positive(h1[i + k][v], d[k]);
            }
        for (Size o = 0; o < units; o += 4)
            for (Size i = 0; i < units; i += 4) {
                Vector g[4][4];
                for (Size k = 0; k < 4; ++k)
                    for (Size j = 0; j < 4; ++j) g[k][j] = sums.g2[o + k][i + j];
                for (Size v = 0; v < used; ++v)
                    for (Size k = 0; k < 4; ++k)
                        for (Size j = 0; j < 4; ++j) g[k][j] += d2[o + k][v] * h1[i + j][v];
                for (Size k = 0; k < 4; ++k)
                    for (Size j = 0; j < 4; ++j) sums.g2[o + k][i + j] = g[k][j];
            }
        for (Size o = 0; o < units; ++o)
            for (Size v = 0; v < used; ++v) {
                sums.g2[o][units] += d2[o][v];
                sums.g1[o][0] += d1[o][v] * x[0][v];
                sums.g1[o][1] += d1[o][v] * x[1][v];
                sums.g1[o][2] += d1[o][v];
            }
    }
};

}  // namespace

extern "C" {

// Price and five sensitivities of European calls. Columns of n: in `inputs` spot, strike, years, rate, volatility.
void black_scholes(Size n, const double* __restrict inputs, double* __restrict prices, double* __restrict slopes) {
    const double *s = inputs, *k = s + n, *t = k + n, *r = t + n, *v = r + n;
    double *ds = slopes, *dk = ds + n, *dt = dk + n, *dr = dt + n, *dv = dr + n;
#pragma GCC ivdep
    for (Size i = 0; i < n; ++i) {
        const double root = std::sqrt(t[i]), spread = v[i] * root;
        const double d1 = (std::log(s[i] / k[i]) + (r[i] + 0.5 * v[i] * v[i]) * t[i]) / spread, d2 = d1 - spread;
        const double n1 = 0.5 * std::erfc(d1 * -0.70710678118654752440);
        const double n2 = 0.5 * std::erfc(d2 * -0.70710678118654752440);
        const double density = s[i] * std::exp(-0.5 * d1 * d1) * 0.39894228040143267794;
        const double discount = std::exp(-r[i] * t[i]), paid = k[i] * discount * n2;
        prices[i] = s[i] * n1 - paid;
        ds[i] = n1;
        dk[i] = -discount * n2;
        dt[i] = density * v[i] / (2.0 * root) + r[i] * paid;
        dr[i] = t[i] * paid;
        dv[i] = density * root;
    }
}

// Mean hinge loss of n rows, given as two columns, and its 337 derivatives.
double moons(Size n, const double* x, const double* y, const double* parameters, double* gradient) {
    static thread_local Moons m;
    m.sums = Moons::Sums();
    m.p1 = parameters;
    m.p2 = parameters + 3 * units;
    m.p3 = parameters + 20 * units;
    const Vector scale = all(1.0 / static_cast<double>(n));
    for (Size first = 0; first < n; first += block) {
        const Size count = n - first < block ? n - first : block;
        if (count < block) std::memset(m.x, 0, sizeof m.x + sizeof m.y);
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(double);
        std::memcpy(m.x[0], x + first, bytes);
        std::memcpy(m.x[1], x + n + first, bytes);
        std::memcpy(m.y, y + first, bytes);
        if (count == block) {  // a number that the compiler knows
            m.forward(vectors, scale);
            m.backward(vectors);
        } else {
            m.forward((count + lanes - 1) / lanes, scale);
            m.backward((count + lanes - 1) / lanes);
        }
    }
    double* to = gradient;
    for (const auto& row : m.sums.g1)
        for (const Vector& g : row) *to++ = sum(g);
    for (const auto& row : m.sums.g2)
        for (const Vector& g : row) *to++ = sum(g);
    for (const Vector& g : m.sums.g3) *to++ = sum(g);
    return sum(m.sums.loss);
}

// s = sin(s) x + 0.5, so many times; tangents beside the values.
double sines(Size turns, double s, double x, double* gradient) {
    double by_s = 1.0, by_x = 0.0;
    for (Size k = 0; k < turns; ++k) {
        const double sine = std::sin(s), slope = std::cos(s) * x;
        by_s = slope * by_s;
        by_x = slope * by_x + sine;
        s = sine * x + 0.5;
    }
    gradient[0] = by_s;
    gradient[1] = by_x;
    return s;
}

// The sum of n Chebyshev series with coefficients 1 / (1 + k), and its derivatives.
double chebyshev(Size n, const double* inputs, Size terms, double* gradient) {
    double total = 0.0;
    for (Size i = 0; i < n; ++i) {
        const double x = inputs[i];
        double before = 1.0, now = x, slope_before = 0.0, slope = 1.0, value = 0.5 * x, by_x = 0.5;
        for (Size k = 2; k < terms + 2; ++k) {
            const double next = 2.0 * x * now - before, slope_next = 2.0 * (now + x * slope) - slope_before;
            const double c = 1.0 / static_cast<double>(1 + k);
            before = now, now = next, slope_before = slope, slope = slope_next;
            value += c * now;
            by_x += c * slope;
        }
        total += value;
        gradient[i] = by_x;
    }
    return total;
}

// The dense Hessian of Rosenbrock's function.
void rosenbrock(Size n, const double* x, double* hessian) {
    std::memset(hessian, 0, static_cast<std::size_t>(n * n) * sizeof(double));
    for (Size i = 0; i + 1 < n; ++i) {
        double* at = hessian + i * (n + 1);
        at[0] += 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0;
        at[1] = at[n] = -400.0 * x[i];
        at[n + 1] += 200.0;
    }
}

// The Hessian of the logistic loss. Rows of `table`, and `w`, have 32 numbers, of which the first `features` count.
void logistic(Size rows, Size features, const double* table, const double* w, double* hessian) {
    constexpr Size padded = 4, tile = 6, stride = padded * lanes;
    static thread_local std::vector<double> weights;
    weights.resize(static_cast<std::size_t>(rows));
    for (Size r = 0; r < rows; ++r) {
        double z = 0.0;
        for (Size k = 0; k < stride; ++k) z += table[r * stride + k] * w[k];
        weights[static_cast<std::size_t>(r)] = z;
    }
    for (double& z : weights) {
        const double p = 1.0 / (1.0 + std::exp(z));
        z = p * (1.0 - p);
    }
    for (Size first = 0; first < features; first += tile) {
        Vector h[tile][padded] = {};
        for (Size r = 0; r < rows; ++r) {
            Vector x[padded];
            std::memcpy(x, table + r * stride, sizeof x);
            for (Size i = 0; i < tile; ++i) {
                const double scaled = weights[static_cast<std::size_t>(r)] * table[r * stride + first + i];
                for (Size k = 0; k < padded; ++k) h[i][k] += scaled * x[k];
            }
        }
        for (Size i = 0; i < tile && first + i < features; ++i)
            std::memcpy(hessian + (first + i) * features, h[i], static_cast<std::size_t>(features) * sizeof(double));
    }
}

// The log-likelihood of a random walk seen with noise, and its derivative by the walk's variance q.
double kalman(Size n, const double* observed, double q, double* gradient) {
    double mean = 0.0, variance = 1.0, total = 0.0, dmean = 0.0, dvariance = 0.0, dtotal = 0.0;
    for (Size k = 0; k < n; ++k) {
        variance += q;
        dvariance += 1.0;
        const double per_s = 1.0 / (variance + 1.0), surprise = observed[k] - mean, share = surprise * per_s;
        const double gain = variance * per_s, dgain = dvariance * per_s * (1.0 - gain);
        total -= 0.5 * (std::log(variance + 1.0) + surprise * share);
        dtotal -= 0.5 * (dvariance * per_s - 2.0 * share * dmean - share * share * dvariance);
        mean += gain * surprise;
        dmean += dgain * surprise - gain * dmean;
        dvariance = (1.0 - gain) * dvariance - dgain * variance;
        variance *= 1.0 - gain;
    }
    *gradient = dtotal;
    return total;
}

// `steps` leapfrog steps of eight schools; q and p have ten numbers and are overwritten.
void schools(Size steps, double size, const double* effects, const double* errors, double* q, double* p) {
    const auto kick = [&] {
        const double tau = std::exp(q[1]), spread = tau * tau / 25.0;
        double by_mean = -q[0] / 25.0, by_log_tau = 1.0 - 2.0 * spread / (1.0 + spread);
        for (Size k = 0; k < 8; ++k) {
            const double eta = q[2 + k], pull = (effects[k] - q[0] - tau * eta) / (errors[k] * errors[k]);
            by_mean += pull;
            by_log_tau += pull * tau * eta;
            p[2 + k] += size / 2.0 * (pull * tau - eta);
        }
        p[0] += size / 2.0 * by_mean;
        p[1] += size / 2.0 * by_log_tau;
    };
    for (Size step = 0; step < steps; ++step) {
        kick();
        for (Size k = 0; k < 10; ++k) q[k] += size * p[k];
        kick();
    }
}

}  // extern "C"
