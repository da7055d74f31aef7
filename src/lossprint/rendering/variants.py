"""Mitsuba's variants that can render a set, from the fastest to the one that works everywhere."""

VARIANTS = ("cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb")
