"""What happens when nobody calls: schedules, lost leases, deliveries, polling, retention."""
