"""What an embedding looks at, and how well the looks of several models agree. Pure functions."""

from lossprint.saliency.agreement import MapAgreement as MapAgreement
from lossprint.saliency.agreement import map_agreement as map_agreement
from lossprint.saliency.gradients import saliency_maps as saliency_maps
