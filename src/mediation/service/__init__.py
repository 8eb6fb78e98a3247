"""The corridor: every change to every case walks through here."""
