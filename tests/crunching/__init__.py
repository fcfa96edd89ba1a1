"""Jobs in processes of their own, as an app has them: a worker's child imports this package by itself."""
