"""The configuration model: frozen, passed in. Grade A; `app.config_file` reads the TOML."""
