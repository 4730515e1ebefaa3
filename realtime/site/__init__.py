"""The site file: cameras and settings in one commented TOML. Here it is read; `realtime.commands.site_options` knows
which settings there are."""
