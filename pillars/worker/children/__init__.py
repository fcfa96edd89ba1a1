"""Jobs in processes of their own: how they are started, what they are told and say, how they end."""
