# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants: kernels that each break one promise, and which test sees it.

file      a series' mutants.toml -> Mutant
kernels   the series with one mutant -> a kernel, small enough to keep
tries     one test on one kernel -> Try, kept so that a killed run goes on
finding   what tries amount to, for a mutant and for the series itself
run       all of them, the unmutated series first
table     the kill matrix
"""
