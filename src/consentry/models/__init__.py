"""Weights and pictures by name: the catalogue, the verified store, the pull and the model cards.

Start from `consentry.models.catalogue.Catalogue` (what exists), `consentry.models.store.ModelStore`
(what is here and verified) and `consentry.models.pull.pull` (how it gets here).
"""
