"""Runs functions: the program of workers that serve the queue ``qinling/python``.

jobyard worker --queue qinling/python --exec "python -m jobyard_server.worker.functions --server HOST:PORT"
"""
