"""Tools that know nothing of routing: files, arrays, settings, arguments, registries, caches, threads."""
