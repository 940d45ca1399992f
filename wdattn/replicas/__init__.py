"""Independent runs trained as one stacked model in one compiled step."""

from wdattn.replicas.replicas import Replicas
from wdattn.replicas.starts import weights_by_path

__all__ = ["Replicas", "weights_by_path"]
