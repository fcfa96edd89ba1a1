"""The jobs of this app. A worker imports every module in this folder."""
