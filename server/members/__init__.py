"""Who belongs to the federation: the consortium file, certificates, start kits and the registry of hospitals."""
