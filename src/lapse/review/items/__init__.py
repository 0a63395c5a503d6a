"""What people decide on: permissions with their holders, grouped, sampled, and canaries among them."""
