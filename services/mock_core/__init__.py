"""What both mocks share; the import contracts say which module may import which."""
