// Functions of doubles that <cmath> lacks, or does not have within 2 ulp everywhere: what rows of the op table use.
//
// They are defined in math/of_doubles.cpp, most of them by the code of the vectors.
#pragma once

#include "portable.hpp"

namespace kilograd::scalar {

double log_gamma(double x);
double tgamma(double x);
// Of an order, the constant of an operation: a whole number up to `largest_order`, of others they are NaN.
inline constexpr int largest_order = 1000;  // of what a file may ask for: work grows with it
double polygamma(double x, double order);
double log_beta(double a, double b);
double digamma_gap(double a, double b);
double trigamma_gap(double a, double b);

double ndtr(double x);
double ndtri(double p);
double erfcx(double x, double order);

double bessel_i(double x, double order);
double bessel_ie(double x, double order);
double bessel_fall(double x, double order);

// As Python's `%` and `//`, and NaN or infinity where these refuse.
double modulo(double a, double b);
double floor_divide(double a, double b);

}  // namespace kilograd::scalar
