"""What must hold before anything is started: each check ends in one line, or is silent."""
