"""The schedules of this app. `app cron` imports every module in this folder."""
