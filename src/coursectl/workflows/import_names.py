"""Import names that differ from package names, for conda-forge and for PyPI.

A table, because no index can be asked offline and the usual guess (the package is called as the import) is
wrong exactly for what courses use most. ``None``: that side has no such package. Source: the packages' own
metadata on conda-forge and PyPI.
"""

from __future__ import annotations

PACKAGES: dict[str, tuple[str | None, str | None]] = {
    # import: (conda-forge, PyPI)
    "Bio": ("biopython", "biopython"),
    "Crypto": ("pycryptodome", "pycryptodome"),
    "IPython": ("ipython", "ipython"),
    "Levenshtein": ("python-levenshtein", "levenshtein"),
    "OpenGL": ("pyopengl", "pyopengl"),
    "PIL": ("pillow", "pillow"),
    "PyQt5": ("pyqt", "pyqt5"),
    "PyQt6": ("pyqt6", "pyqt6"),
    "ROOT": ("root", None),
    "astroML": ("astroml", "astroml"),
    "attr": ("attrs", "attrs"),
    "bokeh": ("bokeh", "bokeh"),
    "bs4": ("beautifulsoup4", "beautifulsoup4"),
    "cartopy": ("cartopy", "cartopy"),
    "cv2": ("opencv", "opencv-python"),
    "dateutil": ("python-dateutil", "python-dateutil"),
    "docx": ("python-docx", "python-docx"),
    "dotenv": ("python-dotenv", "python-dotenv"),
    "dwave": ("dwave-ocean-sdk", "dwave-ocean-sdk"),
    "faiss": ("faiss-cpu", "faiss-cpu"),
    "fitz": ("pymupdf", "pymupdf"),
    "flax": ("flax", "flax"),
    "gi": ("pygobject", "pygobject"),
    "git": ("gitpython", "gitpython"),
    "github": ("pygithub", "pygithub"),
    "google.cloud.storage": ("google-cloud-storage", "google-cloud-storage"),
    "google.protobuf": ("protobuf", "protobuf"),
    "graphviz": ("python-graphviz", "graphviz"),
    "graph_tool": ("graph-tool", None),
    "gurobipy": (None, "gurobipy"),
    "healpy": ("healpy", "healpy"),
    "igraph": ("python-igraph", "igraph"),
    "imblearn": ("imbalanced-learn", "imbalanced-learn"),
    "jax": ("jax", "jax"),
    "jose": ("python-jose", "python-jose"),
    "jwt": ("pyjwt", "pyjwt"),
    "kaggle": ("kaggle", "kaggle"),
    "lightning": ("lightning", "lightning"),
    "magic": ("python-magic", "python-magic"),
    "matplotlib": ("matplotlib-base", "matplotlib"),
    "mpl_toolkits": ("matplotlib-base", "matplotlib"),
    "mpl_toolkits.basemap": ("basemap", "basemap"),
    "msgpack": ("msgpack-python", "msgpack"),
    "mysql": ("mysql-connector-python", "mysql-connector-python"),
    "netCDF4": ("netcdf4", "netcdf4"),
    "osgeo": ("gdal", "gdal"),
    "pkg_resources": ("setuptools", "setuptools"),
    "plotly": ("plotly", "plotly"),
    "pl_bolts": ("lightning-bolts", "lightning-bolts"),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "pylab": ("matplotlib-base", "matplotlib"),
    "pymc3": ("pymc3", "pymc3"),
    "pytorch_lightning": ("pytorch-lightning", "pytorch-lightning"),
    "pywt": ("pywavelets", "pywavelets"),
    "ruamel": ("ruamel.yaml", "ruamel.yaml"),
    "sagemaker": ("sagemaker-python-sdk", "sagemaker"),
    "sentence_transformers": ("sentence-transformers", "sentence-transformers"),
    "serial": ("pyserial", "pyserial"),
    "skimage": ("scikit-image", "scikit-image"),
    "sklearn": ("scikit-learn", "scikit-learn"),
    "skopt": ("scikit-optimize", "scikit-optimize"),
    "slugify": ("python-slugify", "python-slugify"),
    "snappy": ("python-snappy", "python-snappy"),
    "speech_recognition": ("speechrecognition", "speechrecognition"),
    "tables": ("pytables", "tables"),
    "tensorflow_datasets": ("tensorflow-datasets", "tensorflow-datasets"),
    "tensorflow_probability": ("tensorflow-probability", "tensorflow-probability"),
    "tf_keras": ("tf-keras", "tf-keras"),
    "torch": ("pytorch", "torch"),
    "torch_geometric": ("pytorch_geometric", "torch-geometric"),
    "umap": ("umap-learn", "umap-learn"),
    "usb": ("pyusb", "pyusb"),
    "websocket": ("websocket-client", "websocket-client"),
    "wx": ("wxpython", "wxpython"),
    "xgboost": ("py-xgboost", "xgboost"),
    "yaml": ("pyyaml", "pyyaml"),
    "zmq": ("pyzmq", "pyzmq"),
}

PLATFORM_MODULES = frozenset({"google.colab", "kaggle_secrets", "pyodide", "js", "micropip", "swan"})
"""Modules that one hosted service brings with it: reported, never installed."""


def package_for(module: str, *, conda: bool) -> str | None:
    """The package that brings an import such as ``sklearn.svm``; ``None`` where that side has none.

    >>> package_for("sklearn.svm", conda=True), package_for("cv2", conda=False)
    ('scikit-learn', 'opencv-python')
    >>> package_for("ROOT", conda=False) is None
    True
    >>> package_for("numpy.linalg", conda=True)
    'numpy'
    """
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        names = PACKAGES.get(".".join(parts[:end]))
        if names is not None:
            return names[0] if conda else names[1]
    if parts[0] == "google":  # a namespace: google-generativeai is google.generativeai
        return "-".join(parts[:2])
    return parts[0].lower().replace("_", "-")
