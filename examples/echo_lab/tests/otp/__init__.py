"""What `supertester.otp` offers to an application, seen through the servers of EchoLab."""
