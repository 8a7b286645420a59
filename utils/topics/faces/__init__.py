"""Faces with 40 labelled attributes, and networks that judge generated ones.

files   where CelebA lies, and its lists
drawn   faces that stand in for it
data    celeba: batches of faces and labels
own     labelled: faces and attributes of your own
judges  which attributes a face has, by two networks of the project
"""

from utils.topics.faces.data import FaceData, celeba
from utils.topics.faces.files import ATTRIBUTES, TERMS
from utils.topics.faces.own import labelled

__all__ = ["ATTRIBUTES", "TERMS", "FaceData", "celeba", "labelled"]
