"""What an embedding looks at, and how well the looks of several models agree. Pure functions."""

# Maps: the study's SmoothGrad, and other attributions of the same distance.
# Map against map: Pearson correlation and Jensen–Shannon divergence of all pairs.
from lossprint.saliency.agreement import MapAgreement as MapAgreement
from lossprint.saliency.agreement import map_agreement as map_agreement
from lossprint.saliency.attributions import attribution_maps as attribution_maps
from lossprint.saliency.controls import randomized_copy as randomized_copy
from lossprint.saliency.gradients import saliency_maps as saliency_maps

# What maps are held against: regions of the image, shuffled weights.
from lossprint.saliency.shares import RegionShares as RegionShares
from lossprint.saliency.shares import region_shares as region_shares
