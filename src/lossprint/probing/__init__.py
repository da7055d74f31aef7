"""A network × a probe set → maps, embeddings, stage features, NR-Prec, each kept by content.

Training's callbacks ask here with the module in hand, studies with a run: both hand over
something that is a `Network`, and so find what the other kept.
"""

# The network that is asked, and how it is looked at.
from lossprint.probing.attributions import attributions_key as attributions_key
from lossprint.probing.attributions import probe_attributions as probe_attributions
from lossprint.probing.embeddings import embeddings_key as embeddings_key
from lossprint.probing.embeddings import kept_for_another_set as kept_for_another_set
from lossprint.probing.embeddings import make_embeddings as make_embeddings
from lossprint.probing.embeddings import probe_embeddings as probe_embeddings
from lossprint.probing.maps import make_maps as make_maps
from lossprint.probing.maps import map_rows as map_rows
from lossprint.probing.maps import maps_key as maps_key
from lossprint.probing.maps import probe_maps as probe_maps
from lossprint.probing.maps import read_maps as read_maps
from lossprint.probing.network import KeptNetwork as KeptNetwork
from lossprint.probing.network import LoadedNetwork as LoadedNetwork
from lossprint.probing.network import Network as Network
from lossprint.probing.network import weights_file_key as weights_file_key
from lossprint.probing.network import weights_key as weights_key
from lossprint.probing.progress import ImagesDone as ImagesDone
from lossprint.probing.properties import make_properties as make_properties
from lossprint.probing.properties import probe_properties as probe_properties
from lossprint.probing.properties import properties_left_out as properties_left_out
from lossprint.probing.properties import properties_maximum as properties_maximum
from lossprint.probing.settings import MapSettings as MapSettings
from lossprint.probing.settings import PropertySettings as PropertySettings
from lossprint.probing.shares import area_shares as area_shares
from lossprint.probing.shares import saliency_shares as saliency_shares
from lossprint.probing.stages import make_stage_features as make_stage_features
from lossprint.probing.stages import probe_stage_features as probe_stage_features
from lossprint.probing.stages import stages as stages
