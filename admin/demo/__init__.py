"""The whole loop on real pictures, measured: `mekiki demo`.

In: OpenMoji. Out: figures, a contact sheet.
"""
