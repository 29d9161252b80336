"""The callback receiver: takes the video vendor's word, notes it down, and tells the job."""
