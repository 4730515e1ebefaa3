"""The site file: cameras and settings in one commented TOML. It is read here;
`realtime.commands.site_options` defines the settings."""
