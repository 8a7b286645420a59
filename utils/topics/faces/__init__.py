"""Faces with 40 labelled attributes, and networks that judge generated ones.

files   where CelebA lies, and its lists
drawn   faces that stand in for it
data    celeba: batches of faces and labels
judges  which attributes a face has, by two networks of the project
"""

from utils.topics.faces.data import FaceData, celeba
from utils.topics.faces.files import ATTRIBUTES, TERMS

__all__ = ["ATTRIBUTES", "TERMS", "FaceData", "celeba"]
